// Reads a response of type text/event-stream. A response, not an EventSource: the question goes up in the same request.

/**
 * @typedef {{name: string, data: any}} ServerEvent
 * @param {string} block the lines of one event
 * @returns {ServerEvent | null} null for a comment
 */
function parse(block) {
  let name = "message";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data += line.slice(5);
  }
  return data ? { name, data: JSON.parse(data) } : null;
}

/**
 * Yields the events as they come, and ends with the stream.
 * @param {Response} response
 * @returns {AsyncGenerator<ServerEvent>}
 */
export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      waiting += value.replaceAll("\r", "");
      let end;
      while ((end = waiting.indexOf("\n\n")) >= 0) {
        const event = parse(waiting.slice(0, end));
        waiting = waiting.slice(end + 2);
        if (event) yield event;
      }
    }
  } finally {
    reader.releaseLock();
  }
}

// Requests to our own server: the CSRF token, JSON answers, and failures as one error with a sentence to show.

export class RequestError extends Error {
  constructor(message, { status = 0, body = null } = {}) {
    super(message);
    this.name = "RequestError";
    this.status = status; // 0: the server was not reached
    this.body = body;
  }
}

// Sends a request. A plain object becomes a JSON body; FormData and URLSearchParams go as they are.
// Returns the Response; throws RequestError for anything but 2xx, with the server's own `error` sentence if it sent one.
export async function send(url, { method = "POST", body, headers = {}, signal } = {}) {
  const all = new Headers({ Accept: "application/json", "X-Requested-With": "fetch", ...headers });
  if (method !== "GET") all.set("X-CSRFToken", document.body.dataset.csrf ?? "");
  if (body && Object.getPrototypeOf(body) === Object.prototype) {
    all.set("Content-Type", "application/json");
    body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(url, { method, body, headers: all, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError(error.message);
  }
  if (response.ok) return response;
  const isJSON = response.headers.get("Content-Type")?.includes("json");
  const answer = isJSON ? await response.json() : null;
  throw new RequestError(answer?.error?.message ?? answer?.error ?? response.statusText, { status: response.status, body: answer });
}

export async function getJSON(url, { signal } = {}) {
  return (await send(url, { method: "GET", signal })).json();
}

// A page that the browser put away whole (its back/forward cache, which no header but no-store binds) comes back without
// asking. So it asks itself: whoever has signed out meanwhile, or may no longer see it, goes where the server says.
addEventListener("pageshow", async (event) => {
  if (!event.persisted) return;
  // Unreachable, it stays: it is what the person had on the screen before.
  const answer = await fetch(location.href, { redirect: "manual", cache: "no-cache" }).catch(() => null);
  if (answer && !answer.ok) location.reload();
});

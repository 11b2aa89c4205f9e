// Keeps what is on the page current: the server says that something changed, the page fetches that part again.
// Everything that is put in was made and escaped by the server.
"use strict";

const live = document.querySelector("[data-live]");

function setPulse(on) {
  const pulse = document.getElementById("pulse");
  if (!pulse) return;
  pulse.classList.toggle("off", !on);
  pulse.querySelector("span").textContent = on ? "live" : "reconnecting";
}

// A form that somebody is filling in is left alone.
function isBusy(part) {
  const focused = document.activeElement;
  if (part.contains(focused) && focused.matches("input, textarea, select, button")) return true;
  return [...part.querySelectorAll("textarea")].some((field) => field.value !== "");
}

function replaced(part, fresh) {
  const known = new Set([...part.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
  const focused = document.activeElement.closest("[data-id]");
  part.replaceChildren(...fresh);
  for (const row of part.querySelectorAll("[data-id]")) {
    if (known.size && !known.has(row.dataset.id)) row.classList.add("new");
    if (focused && row.dataset.id === focused.dataset.id) row.querySelector("a")?.focus({ preventScroll: true });
  }
}

async function refresh() {
  const answer = await fetch(live.dataset.live, { credentials: "same-origin" });
  if (answer.redirected || answer.status === 403) return location.reload();
  if (!answer.ok) return;
  const read = new DOMParser().parseFromString(await answer.text(), "text/html");
  const selector = live.dataset.part;
  const part = selector ? live.querySelector(selector) : live;
  const fresh = selector ? read.querySelector(selector) : read.body;
  if (part && fresh && !isBusy(part)) replaced(part, [...fresh.childNodes]);
}

let running = false;
let again = false;

async function due() {
  again = true;
  if (running || document.hidden) return;
  running = true;
  try {
    while (again) {
      again = false;
      await refresh();
    }
  } catch {
    setPulse(false);
  } finally {
    running = false;
  }
}

if (live) {
  const source = new EventSource("/changes");
  source.addEventListener("open", () => { setPulse(true); due(); });
  source.addEventListener("changed", due);
  source.addEventListener("error", () => {
    setPulse(false);
    if (source.readyState === EventSource.CLOSED) setInterval(due, 3000);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) due(); });
}

// A choice in the filters takes effect at once; text does with Enter.
for (const choice of document.querySelectorAll(".filters select")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}

"use strict";
// Nothing of the owner's is in this script: what it needs stands in attributes of the page.
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const one = (selector, from = document) => from.querySelector(selector);

// One sound at a time. "play" does not bubble, hence the capturing.
document.addEventListener("play", (event) => {
  for (const player of all("audio")) if (player !== event.target) player.pause();
}, true);

// The same moment in the other sound: cuts moved it, by the steps in data-moments.
function moment(pair, from, to, seconds) {
  const steps = JSON.parse(pair.dataset.moments);
  const next = steps.findIndex((step) => step[from] >= seconds);
  if (next < 0) return steps.at(-1)[to];
  if (next === 0) return steps[0][to];
  const [a, b] = [steps[next - 1], steps[next]];
  const share = (seconds - a[from]) / (b[from] - a[from] || 1);
  return a[to] + share * (b[to] - a[to]);
}

function swap(pair) {
  const players = all("audio", pair);
  const from = players[0].paused && (!players[1].paused || players[1].currentTime > 0) ? 1 : 0;
  const to = 1 - from;
  players[to].currentTime = moment(pair, from, to, players[from].currentTime);
  players[from].pause();
  players[from].currentTime = 0;
  players[to].play();
}

for (const button of all("button[data-swap]")) {
  button.hidden = false;
  button.addEventListener("click", () => swap(button.closest("[data-moments]")));
}

function filter() {
  const [emotion, letter] = ["#emotion", "#letter"].map((id) => one(id).value);
  let shown = 0;
  for (const take of all("[data-emotion]")) {
    const fits = (!emotion || take.dataset.emotion === emotion)
      && (!letter || (letter === "drawn" ? Boolean(take.dataset.drawn) : take.dataset.letter === letter));
    take.hidden = !fits;
    shown += fits;
  }
  one("#shown").textContent = shown.toLocaleString("en");
  one("#none").hidden = shown > 0;
}

if (one("#tools")) {
  one("#tools").hidden = false;
  for (const id of ["#emotion", "#letter"]) one(id).addEventListener("input", filter);
  // A browser keeps what was chosen over a reload.
  filter();
}

// A link to a take, as the map and the contents have them, opens it.
function open() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") {
    target.hidden = false;
    target.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", open);
open();

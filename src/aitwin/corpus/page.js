"use strict";
// Nothing of the owner's is in this script: what it needs stands in attributes of the page.
const root = document.documentElement;
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);
const key = "twin-marks-" + root.dataset.digest;
const kept = () => { try { return JSON.parse(sessionStorage.getItem(key)) ?? []; } catch { return []; } };
const marks = new Map(kept());

function commands() {
  const ids = (mark) => [...marks].filter(([, its]) => its === mark).map(([id]) => id);
  return ["drop", "pin"].filter((mark) => ids(mark).length)
    .map((mark) => `twin dataset ${mark}${root.dataset.option} ${ids(mark).join(" ")}`)
    .concat(marks.size ? [root.dataset.build] : []).join(" && ");
}

function showMarks() {
  for (const box of all("[data-pair]")) {
    const mark = marks.get(box.dataset.pair) ?? "";
    box.dataset.marked = mark;
    for (const button of all("button[data-mark]", box)) {
      button.setAttribute("aria-pressed", String(button.dataset.mark === mark));
    }
  }
  const bar = one("#marks");
  if (!bar) return;
  bar.hidden = !marks.size;
  one("#marks-count").textContent = `${marks.size} marked`;
  one("#command").textContent = commands();
  try { sessionStorage.setItem(key, JSON.stringify([...marks])); } catch { /* kept while open */ }
}

async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = label; }, 1200);
}

function filter() {
  const words = one("#find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [channel, split, state] = ["#channel", "#split", "#state"].map((id) => one(id).value);
  let shown = 0;
  for (const box of all("#review-pairs [data-pair]")) {
    const text = box.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word))
      && (!channel || box.dataset.channel === channel)
      && (!split || box.dataset.split === split)
      && (!state || (state === "marked" ? Boolean(box.dataset.marked) : box.dataset[state] === "yes"));
    box.hidden = !fits;
    shown += fits;
  }
  one("#shown").textContent = shown.toLocaleString("en");
  one("#none").hidden = shown > 0;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const box = button.closest("[data-pair]");
  if (button.dataset.mark && box) {
    const id = box.dataset.pair;
    if (marks.get(id) === button.dataset.mark) marks.delete(id); else marks.set(id, button.dataset.mark);
    showMarks();
  } else if (button.dataset.copy) {
    copy(button.dataset.copy, button);
  } else if (button.id === "copy-command") {
    copy(commands(), button);
  } else if (button.id === "clear-marks") {
    marks.clear();
    showMarks();
  }
});
if (one("#find")) {
  for (const id of ["#find", "#channel", "#split", "#state"]) one(id).addEventListener("input", filter);
  filter();
}
showMarks();

// The tub page: look through records, mark bad ones, delete and restore.

import { $, clamp, count, grouped, ownsKey, say, setText, signed } from "./page.js";
import { Paths } from "./paths.js";
import { listTubs, TubData } from "./tub/data.js";
import { Plot } from "./tub/plot.js";

const POLL_MS = 2000;
/** A tub that grows is read again so often; a long one takes longer to read. */
const reloadMs = (rows) => (rows < 5000 ? 2000 : 10000);
const PLAY_HZ = 20;
const MODE_TEXT = { user: "you", local_angle: "pilot steers", local: "pilot drives" };

let data = null;
let facts = null; // of the chosen tub, from the list
let row = 0;
let mark = null; // [first, last] rows
let readMs = 0;
let undos = [];
let playing = 0;

const paths = new Paths($("paths"));
const plot = new Plot($("plot"), $("overview"), {
  onGo: (to) => go(to),
  onMark: (first, last) => {
    mark = [first, last];
    go(last);
  },
});

// ---- reading

/** Asks what tubs there are; `now`: reads the chosen one anew however lately that was done. */
async function poll(now = false) {
  if (document.hidden) return;
  let tubs;
  try {
    tubs = await listTubs();
  } catch (error) {
    setText($("tub-note"), error.message);
    return;
  }
  showList(tubs);
  facts = tubs.find((tub) => tub.name === $("tub").value) ?? null;
  showFacts();
  if (!facts) return;
  const other = data?.name !== facts.name;
  const changed = other || facts.records + facts.deleted !== data.length || facts.deleted !== data.deletedCount;
  if (changed && (other || now || performance.now() - readMs > reloadMs(data.length))) await read(facts.name);
}

async function read(name) {
  const atEnd = !data || row >= data.length - 1;
  let fresh;
  try {
    fresh = await TubData.fetch(name);
  } catch (error) {
    return say(error.message, "bad");
  }
  if (name !== $("tub").value) return; // another one was chosen meanwhile
  readMs = performance.now();
  const other = data?.name !== name;
  data = fresh;
  if (other) {
    [row, mark, undos] = [0, null, []];
    history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  }
  plot.setData(data);
  go(!other && atEnd && facts?.recording ? data.length - 1 : row);
}

function showList(tubs) {
  const select = $("tub");
  const names = tubs.map((tub) => tub.name);
  if (names.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
  const wanted = select.value || decodeURIComponent(location.hash.slice(1)) || tubs.find((tub) => tub.recording)?.name;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  select.value = names.includes(wanted) ? wanted : names[0] ?? "";
}

// ---- showing

function showFacts() {
  $("recording").hidden = !facts?.recording;
  $("problems").hidden = !facts?.problems;
  if (facts?.problems) setText($("problems"), `${facts.problems} damaged; “dingocar tub check” says more`);
  setText($("tub-note"), facts ? `${count(facts.records)}, ${grouped(facts.deleted)} deleted` : "There is no tub yet: record one on the drive page");
  showButtons();
}

function go(to) {
  const rows = data?.length ?? 0;
  row = clamp(Math.round(to), 0, Math.max(0, rows - 1));
  $("slider").max = Math.max(0, rows - 1);
  $("slider").value = row;
  $("no-picture").hidden = rows > 0;
  plot.setRow(row, mark);
  showRecord();
  showButtons();
}

function showRecord() {
  if (!data?.length) {
    $("image").removeAttribute("src");
    paths.draw("user", null);
    for (const id of ["angle", "where", "v-angle", "v-throttle", "v-mode", "v-session"]) setText($(id), "–");
    return;
  }
  const deleted = data.isDeleted[row];
  const [steering, throttle] = [data.angle[row], data.throttle[row]];
  showImage(data.imageUrl(row));
  $("image").alt = `Record ${data.index[row]}: steering ${signed(steering)}, throttle ${signed(throttle)}`;
  $("picture").classList.toggle("deleted", deleted);
  $("gone").hidden = !deleted;
  paths.draw("user", { steering, throttle });
  setText($("angle"), signed(steering));
  setText($("where"), `record ${data.index[row]} of ${data.index.at(-1)}`);
  $("slider").setAttribute("aria-valuetext", `record ${data.index[row]}${deleted ? ", deleted" : ""}`);
  setText($("v-angle"), signed(steering));
  setText($("v-throttle"), signed(throttle));
  setText($("v-mode"), MODE_TEXT[data.mode[row]] ?? data.mode[row] ?? "–");
  setText($("v-session"), String(data.session[row] ?? "–"));
}

let loading = false;
let wantedUrl = "";

/** One picture at a time: while one loads, only the newest wish is kept. */
function showImage(url) {
  wantedUrl = url;
  const image = $("image");
  if (loading || image.getAttribute("src") === url) return;
  loading = true;
  const done = () => {
    loading = false;
    if (image.naturalWidth) $("picture").style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    if (image.getAttribute("src") !== wantedUrl) showImage(wantedUrl);
  };
  image.onload = image.onerror = done;
  image.src = url;
}

/** The rows that a button or key means: what is marked, else this record. */
const meant = () => mark ?? [row, row];

function showButtons() {
  const changeable = Boolean(data?.length) && !facts?.recording;
  const [first, last] = meant();
  const deleted = data?.length ? data.isDeleted.slice(first, last + 1).filter(Boolean).length : 0;
  const rows = last - first + 1;
  $("delete").disabled = !changeable || !mark || deleted === rows;
  $("restore").disabled = !changeable || !mark || deleted === 0;
  $("undo").disabled = !changeable || !undos.length;
  if (mark && data?.length) {
    setText($("marked"), `${data.index[first]} to ${data.index[last]}: ${count(rows)}, ${grouped(deleted)} deleted`);
    $("marked").dataset.set = "";
  } else if ("set" in $("marked").dataset) {
    delete $("marked").dataset.set;
    $("marked").replaceChildren("Nothing. Drag over the plot, or press ", key("["), " and ", key("]"));
  }
}

function key(text) {
  const element = document.createElement("kbd");
  element.textContent = text;
  return element;
}

// ---- changing

async function change(action, [first, last] = meant()) {
  if (!data?.length) return;
  const ranges = data.ranges(first, last, action === "restore");
  if (!ranges.length) return;
  if (await tell(action, ranges)) undos.push([action === "delete" ? "restore" : "delete", ranges, data.name]);
  go(row);
}

async function tell(action, ranges) {
  try {
    await data.change(action, ranges);
  } catch (error) {
    say(error.message, "bad");
    return false;
  }
  plot.setData(data);
  facts = { ...facts, records: data.length - data.deletedCount, deleted: data.deletedCount };
  showFacts();
  return true;
}

async function undo() {
  const last = undos.at(-1);
  if (!last || last[2] !== data?.name) return;
  if (await tell(last[0], last[1])) undos.pop();
  go(row);
}

// ---- controls

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => (row + 1 < (data?.length ?? 0) ? go(row + 1) : play(false)), 1000 / PLAY_HZ) : 0;
  $("play").setAttribute("aria-pressed", String(on));
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
}

function markFrom() {
  mark = [row, Math.max(row, mark?.[1] ?? row)];
  go(row);
}

function markTo() {
  mark = [Math.min(row, mark?.[0] ?? row), row];
  go(row);
}

const KEYS = {
  ArrowLeft: (event) => go(row - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => go(row + (event.shiftKey ? 10 : 1)),
  PageUp: () => go(row - 100),
  PageDown: () => go(row + 100),
  Home: () => go(0),
  End: () => go(Infinity),
  " ": () => play(!playing),
  "[": markFrom,
  "]": markTo,
  Escape: () => {
    mark = null;
    go(row);
  },
  d: () => change("delete"),
  Delete: () => change("delete"),
  r: () => change("restore"),
  z: undo,
  "+": () => plot.zoom(0.5),
  "=": () => plot.zoom(0.5),
  "-": () => plot.zoom(2),
  0: () => plot.zoomAll(),
  "?": () => $("help").showModal(),
};

window.addEventListener("keydown", (event) => {
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = KEYS[pressed];
  if (!action || $("help").open || event.ctrlKey || event.metaKey || event.altKey) return;
  const onButton = pressed === " " && event.target.closest?.("button, a, select");
  if (onButton || (event.target !== $("slider") && ownsKey(event.target, event.key))) return;
  event.preventDefault();
  action(event);
});

$("slider").addEventListener("input", () => go(Number($("slider").value)));
$("back").addEventListener("click", () => go(row - 1));
$("on").addEventListener("click", () => go(row + 1));
$("play").addEventListener("click", () => play(!playing));
$("delete").addEventListener("click", () => change("delete"));
$("restore").addEventListener("click", () => change("restore"));
$("undo").addEventListener("click", undo);
$("zoom-in").addEventListener("click", () => plot.zoom(0.5));
$("zoom-out").addEventListener("click", () => plot.zoom(2));
$("zoom-all").addEventListener("click", () => plot.zoomAll());
$("tub").addEventListener("change", () => {
  play(false);
  poll(true);
});
$("help-open").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());
document.addEventListener("visibilitychange", () => (document.hidden ? play(false) : poll(true)));

poll();
setInterval(() => poll(), POLL_MS);

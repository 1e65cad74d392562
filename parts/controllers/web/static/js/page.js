// Small helpers of both pages.

export const $ = (id) => document.getElementById(id);

/** Writes a text only where it changes, so that screen readers and the layout are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const clamp = (value, low = -1, high = 1) => Math.min(high, Math.max(low, value));

/** "+0.30", with a true minus sign and always as wide. */
export function signed(value, digits = 2) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
}

export const grouped = (n) => n.toLocaleString("en");
export const count = (n) => `${grouped(n)} ${n === 1 ? "record" : "records"}`;

/** Shows a message for some seconds; `tone` "bad" for errors. */
export function say(text, tone = "") {
  const box = $("messages");
  const last = box.lastElementChild;
  if (last && last.textContent === text) last.remove();
  const message = document.createElement("div");
  message.className = `message ${tone}`;
  message.textContent = text;
  box.append(message);
  while (box.children.length > 3) box.firstElementChild.remove();
  setTimeout(() => message.remove(), tone === "bad" ? 7000 : 4000);
}

/** Fetches JSON; throws an Error with the server's one line. */
export async function fetchJson(path, body) {
  const request = body === undefined
    ? {}
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...request, cache: "no-store" });
  } catch {
    throw new Error("The car does not answer");
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch { /* no JSON: the status has to do */ }
  if (!response.ok) throw new Error(answer?.error ?? `The car answered ${response.status} ${response.statusText}`);
  return answer;
}

/** True while the focus is where keys mean typing or choosing, not driving. */
export function ownsKey(target, key) {
  const tag = target?.tagName;
  if (tag === "SELECT" || tag === "TEXTAREA") return true;
  if (tag !== "INPUT") return false;
  if (target.type === "range") return key.startsWith("Arrow") || ["Home", "End", "PageUp", "PageDown"].includes(key);
  return true;
}

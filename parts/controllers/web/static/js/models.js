// The choice of the pilot's model: only while the car stands and the user drives.

import { $, fetchJson, say, setText } from "./page.js";

export class Models {
  #link;
  #current = null;
  #loading = null;

  constructor(link) {
    this.#link = link;
    $("model").addEventListener("focus", () => this.refresh());
    $("model").addEventListener("change", () => this.#buttons());
    $("model-load").addEventListener("click", () => this.#load());
  }

  /** Asks the car which models it has. */
  async refresh() {
    let models;
    try {
      models = await fetchJson("/api/models");
    } catch (error) {
      say(error.message, "bad");
      return;
    }
    const select = $("model");
    const chosen = select.value;
    if (this.#current && !models.some((model) => model.name === this.#current)) {
      models.unshift({ name: this.#current }); // loaded from elsewhere
    }
    const wanted = ["", ...models.map((model) => model.name)];
    if (wanted.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
      select.replaceChildren(new Option("No pilot", ""), ...models.map((model) => new Option(label(model), model.name)));
      select.value = [chosen, this.#current].find((name) => name && wanted.includes(name)) ?? "";
    }
    this.#buttons();
  }

  /** Follows the car: which pilot it has, whether it may be changed now. */
  show(channels) {
    const name = channels["pilot/name"] || "";
    if (name !== this.#current) {
      this.#current = name;
      const known = [...$("model").options].find((option) => option.value === name);
      if (known) $("model").value = name;
      if (this.#loading !== null) say(name ? `${name} is at the wheel when you ask it to` : "The pilot has left");
      this.#loading = null;
    }
    this.stands = channels["user/mode"] === "user" && Math.abs(channels.throttle ?? 0) < 0.01;
    this.#buttons();
  }

  /** The car refused. */
  failed() {
    this.#loading = null;
    this.#buttons();
  }

  #load() {
    const name = $("model").value || null;
    if (this.#link.send({ type: "model", name })) this.#loading = name ?? "";
    this.#buttons();
  }

  #buttons() {
    const stands = Boolean(this.stands) && this.#loading === null;
    const select = $("model");
    // A disabled element loses the focus, so the list itself stays open to look at.
    const button = $("model-load");
    button.disabled = !stands || select.value === (this.#current ?? "");
    setText(button, this.#loading === null ? "Load" : "Loading …");
    setText($("model-note"), this.stands ? "It drives when you choose a pilot mode." : "Stop, and choose “You”, to change the model.");
  }
}

function label(model) {
  return model.pilot && model.pilot !== model.name ? `${model.name} (${model.pilot})` : model.name;
}

import { setText } from "./element.js";

const said = document.getElementById("said");

/** Says what was done in the line at the bottom, which is read out. */
export function say(text) {
  setText(said, text);
}

/** Does what the emulated people, or the emulated Google, are asked to do. */
export function act(name, body) {
  return post(`emulator/${name}`, body);
}

export function runSchedule(name) {
  return post(`schedules/${name}`, {});
}

/** Moves the time forward. */
export function travel(forwardMs) {
  return post("clock", { forwardMs });
}

/** Delivers an event to the subscriber once more. */
export function resend(id) {
  return post("resend", { id });
}

async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (response.ok) return answer;
    say(`Refused: ${answer.error ?? response.status}`);
  } catch {
    say("The server does not answer. Is it still running?");
  }
  return undefined;
}

import { setText } from "./element.js";

const said = document.getElementById("said");

/** Tells of an act in the line at the bottom, which is read out. */
export function say(text) {
  setText(said, text);
}

/** Does what the emulated people, or the emulated Google, are asked to do. */
export async function act(name, body) {
  return post(`emulator/${name}`, body);
}

export async function runSchedule(name) {
  return post(`schedules/${name}`, {});
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

/** Where a subscriber often listens, for a command that is copied without one. */
const EXAMPLE_ENDPOINT = "http://localhost:4000/changes";

/** Returns a shell command that delivers an event as a Pub/Sub push subscription does. */
export function curlOf({ attributes, data, orderingKey }, endpoint = EXAMPLE_ENDPOINT) {
  const message = {
    attributes,
    data: toBase64(JSON.stringify(data)),
    messageId: "1",
    orderingKey,
    publishTime: attributes["ce-time"],
  };
  const body = JSON.stringify({ message, subscription: "projects/local/subscriptions/copied" });
  return `curl -X POST ${quoted(endpoint)} -H 'content-type: application/json' --data-raw ${quoted(body)}`;
}

/** In a shell, nothing but the quote itself has a meaning between single quotes. */
function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function toBase64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

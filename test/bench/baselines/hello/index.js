// The least that a function can do: what the functions-framework costs by itself.
import { http } from "@google-cloud/functions-framework";

http("hello", (_request, response) => {
  response.send("Hello, World!");
});

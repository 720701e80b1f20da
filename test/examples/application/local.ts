/** Where `npm start` has everything, and what it shares with this application. */
export const LOCAL = {
  PORT: "8095",
  RECEIVER_URL: "http://127.0.0.1:8080",
  RETURN_TO_SECRET: "npm start and the example share this",
};

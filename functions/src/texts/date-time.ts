/** How a page writes a date. It does not know the person's time zone, so it names its own. */
export const DATE_TIME = { dateStyle: "long", timeStyle: "short", timeZone: "UTC" } as const;

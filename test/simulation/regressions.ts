/** Seeds that once broke a promise, and what it was. They are run every time. */
export const REGRESSIONS: readonly { seed: number; was: string }[] = [
  { seed: 3, was: "a run out of pages counted what it had read as settled" },
  { seed: 6, was: "a recovery passed over a page whose note was refused" },
  { seed: 87, was: "a broken list of messages was taken for an empty mailbox" },
  { seed: 120, was: "an unreadable record and a rewind were told under one id" },
  { seed: 372, was: "an unreadable record and an expiry were told under one id" },
  { seed: 523, was: "a head read late counted as read when its listing began" },
  {
    seed: 595,
    was: "a rotated refresh token flagged the user in a run that knew only the old one",
  },
  { seed: 858, was: "after a rewind the mailbox was deaf to notifications" },
  { seed: 990, was: "a run that had waited published again what the one before it had" },
  { seed: 1218, was: "a broken list of drafts let drafts be published" },
  { seed: 1640, was: "a run between two pages began a recovery that another had ended" },
  { seed: 5273, was: "a run whose first page another had covered left the next pages unread" },
];

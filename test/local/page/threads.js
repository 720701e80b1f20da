/** The folders that Gmail shows, each with the messages that it holds. */
export const FOLDERS = [
  { id: "INBOX", label: "Inbox" },
  { id: "STARRED", label: "Starred" },
  { id: "SENT", label: "Sent" },
  { id: "DRAFT", label: "Drafts" },
  { id: "ALL", label: "All" },
  { id: "TRASH", label: "Trash" },
];

const HIDDEN = ["TRASH", "SPAM"];
/** Gmail's own labels that are no folder: what is left are the person's labels. */
const STATES = ["UNREAD", "IMPORTANT", "SPAM", "CHAT"];

/** Returns whether a folder holds a message. */
export function byFolder(folder, { labelIds }) {
  const isHidden = HIDDEN.some((label) => labelIds.includes(label));
  if (folder === "TRASH") return labelIds.includes("TRASH");
  return !isHidden && (folder === "ALL" || labelIds.includes(folder));
}

/** Returns Gmail's folders and the person's labels, with the number of unread messages in each. */
export function foldersOf(messages) {
  const known = new Set([...FOLDERS.map(({ id }) => id), ...STATES]);
  const labels = new Set(messages.flatMap(({ labelIds }) => labelIds));
  const own = [...labels].filter((id) => !known.has(id) && !id.startsWith("CATEGORY_"));
  return [...FOLDERS, ...own.map((id) => ({ id, label: id }))].map((folder) => ({
    ...folder,
    unread: messages.filter(
      (message) => byFolder(folder.id, message) && message.labelIds.includes("UNREAD"),
    ).length,
  }));
}

/** Groups messages, which come newest first, into conversations. */
export function threadsOf(messages) {
  const threads = new Map();
  for (const message of messages) {
    threads.set(message.threadId, [message, ...(threads.get(message.threadId) ?? [])]);
  }
  return [...threads].map(([id, its]) => ({
    id,
    messages: its,
    subject: its[0].subject,
    isUnread: its.some(({ labelIds }) => labelIds.includes("UNREAD")),
    isStarred: its.some(({ labelIds }) => labelIds.includes("STARRED")),
  }));
}

/** Returns the name in `Name <address>`, or the address where there is none. */
export function nameOf(address) {
  const [name] = address.split("<", 1);
  return name.trim() || address;
}

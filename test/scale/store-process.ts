import { startStubFirestore } from "../bench/stub-firestore.ts";

/*
 * The store in a process of its own: what the receiver needs of memory and processor can be told
 * from what the store needs.
 */
console.log(`host ${(await startStubFirestore()).host}`);

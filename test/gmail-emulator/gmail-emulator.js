#!/usr/bin/env node
// The program is TypeScript, which `tsx` loads.
import { register } from "tsx/esm/api";

register();
await import("./main.ts");

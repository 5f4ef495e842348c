import { signal } from "@preact/signals";

/** Whether the API was out of reach at the last attempt. */
export const offline = signal(false);

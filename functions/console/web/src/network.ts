// How the page is connected.

import { signal } from "@preact/signals";

/** Whether the API was out of reach at the last attempt. */
export const offline = signal(false);

/** How changes elsewhere arrive: at once; within seconds; not at the moment. */
export const live = signal<"starting" | "live" | "delayed" | "offline">("starting");

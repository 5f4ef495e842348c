// The API, by its own description: `schema.d.ts` is generated from openapi.yaml.

import createClient from "openapi-fetch";
import type { components, paths } from "@schema";
import { offline } from "./network";
import { accessToken, setClock } from "./session";

export type Schemas = components["schemas"];

interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail?: string;
  correlation?: string;
  errors?: { field: string; message: string }[];
}

/** Why a request did not succeed, as the API says it. */
export class Problem extends Error {
  /** The last part of the problem's type, such as `stale-version`. */
  readonly kind: string;
  readonly status: number;
  readonly correlation: string | undefined;
  readonly errors: { field: string; message: string }[];
  /** Seconds after which another try can help. */
  readonly retryAfter: number | undefined;

  constructor(document: Partial<ProblemDocument>, response: Response) {
    const errors = document.errors ?? [];
    const detail = document.detail ?? errors.map(({ field, message }) => `${field} ${message}`).join("; ");
    super(detail || document.title || `The API answered ${response.status}.`);
    this.kind = document.type?.split(":").at(-1) ?? "unavailable";
    this.status = response.status;
    this.correlation = document.correlation ?? response.headers.get("x-correlation-id") ?? undefined;
    this.errors = errors;
    const retryAfter = Number(response.headers.get("retry-after"));
    this.retryAfter = retryAfter > 0 ? retryAfter : undefined;
  }
}

/** The API cannot be reached at all. */
export class Offline extends Error {
  constructor() {
    super("Adflight cannot be reached.");
  }
}

/** Sends a request with a token of the session. One that the API refuses is renewed once, and the request repeated. */
async function send(request: Request): Promise<Response> {
  const attempt = async (refused?: string): Promise<[Response, string]> => {
    try {
      const token = await accessToken(refused);
      const copy = request.clone();
      copy.headers.set("authorization", `Bearer ${token}`);
      const response = await fetch(copy);
      offline.value = false;
      return [response, token];
    } catch (error) {
      // `fetch` throws a TypeError where nothing answers. Anything else is a fault that is shown as what it is.
      if (request.signal.aborted || !(error instanceof TypeError)) throw error;
      offline.value = true;
      throw new Offline();
    }
  };
  let [response, token] = await attempt();
  // A session may end again before the person is back with the next one.
  for (let tries = 0; response.status === 401 && tries < 3; tries += 1) {
    [response, token] = await attempt(token);
  }
  setClock(response);
  return response;
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

interface Result<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Returns what a request was answered, or throws its problem. */
export async function answer<T>(result: Promise<Result<T>>): Promise<T> {
  const { data, error, response } = await result;
  if (response.ok) return data as T;
  const document = typeof error === "object" && error !== null ? (error as Partial<ProblemDocument>) : {};
  throw new Problem(document, response);
}

/** Returns a fresh key under which a write is done once, however often it is sent. */
export const idempotencyKey = (): string => crypto.randomUUID();

// Numbers, days and times as the person's language writes them. Decimals stay text from the API to the page, so that no
// digit is lost on the way.

const language = navigator.language;
const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  let format = formats.get(key);
  if (!format) formats.set(key, (format = new Intl.NumberFormat(language, options)));
  return format;
}

/** What stands for a number that is not known. */
export const UNKNOWN = "—";

/** Writes a decimal with exactly so many digits after the point. */
export function decimal(value: string | number | undefined, digits: number): string {
  if (value === undefined) return UNKNOWN;
  const format = numberFormat({ minimumFractionDigits: digits, maximumFractionDigits: digits });
  return format.format(value as Intl.StringNumericLiteral);
}

/** Writes a large number with few digits, for axes and keys. */
export function compact(value: number): string {
  return numberFormat({ notation: "compact", maximumFractionDigits: 1 }).format(value);
}

/** Writes a fraction as a percentage. */
export function percent(value: string | number | undefined, digits = 2): string {
  if (value === undefined) return UNKNOWN;
  const format = numberFormat({ style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
  return format.format(value as Intl.StringNumericLiteral);
}

const dates = new Map<string, Intl.DateTimeFormat>();

function dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  let format = dates.get(key);
  if (!format) dates.set(key, (format = new Intl.DateTimeFormat(language, options)));
  return format;
}

const asUtc = (day: string) => new Date(`${day}T00:00:00Z`);

/** Writes a day of an ad account, such as "28 Nov". */
export function day(text: string, options: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" }): string {
  return dateFormat({ ...options, timeZone: "UTC" }).format(asUtc(text));
}

/** Writes a range of days. */
export function days(since: string, until: string): string {
  const isThisYear = since.slice(0, 4) === String(new Date().getFullYear());
  const format = dateFormat({ day: "numeric", month: "short", ...(!isThisYear && { year: "numeric" as const }), timeZone: "UTC" });
  return since === until ? format.format(asUtc(since)) : format.formatRange(asUtc(since), asUtc(until));
}

/** Writes a moment in a time zone, with its day unless that is today. */
export function moment(at: string, timeZone: string, today?: string): string {
  const time = dateFormat({ hour: "2-digit", minute: "2-digit", timeZone }).format(new Date(at));
  const onDay = dayIn(new Date(at), timeZone);
  const isThisYear = onDay.slice(0, 4) === String(new Date().getFullYear());
  return onDay === today ? time : `${time}, ${day(onDay, { day: "numeric", month: "short", ...(!isThisYear && { year: "numeric" }) })}`;
}

/** Returns the day of a moment in a time zone, as the API writes it. */
export function dayIn(at: Date, timeZone: string): string {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  return parts.format(at);
}

/** Writes a time zone for people: "Singapore time". */
export const zoneName = (zone: string): string => `${zone.split("/").at(-1)!.replaceAll("_", " ")} time`;

/** Writes how long ago something was. */
export function ago(at: string, now: Date): string {
  const seconds = Math.max(0, (now.getTime() - Date.parse(at)) / 1000);
  const relative = new Intl.RelativeTimeFormat(language, { style: "narrow", numeric: "auto" });
  if (seconds < 60) return relative.format(-Math.round(seconds), "second");
  if (seconds < 3600) return relative.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.round(seconds / 3600), "hour");
  return relative.format(-Math.round(seconds / 86_400), "day");
}

/** Writes a count with its noun: "1 campaign", "2 campaigns". */
export const plural = (count: number, noun: string, nouns = `${noun}s`): string =>
  `${decimal(count, 0)} ${count === 1 ? noun : nouns}`;

/** Writes a word of the API for people: "ADSET_PAUSED" becomes "Ad set paused". */
export function words(code: string): string {
  const text = code.toLowerCase().replace(/^outcome_/, "").replaceAll("adset", "ad set").replace(/[_.]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Writes minor units as a decimal text in major units. */
export function majorText(amount: number, digits: number): string {
  const text = String(amount).padStart(digits + 1, "0");
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

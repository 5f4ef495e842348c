// Numbers as people type them in their language.

const language = navigator.language;
const SAMPLE = new Intl.NumberFormat(language, { useGrouping: true }).formatToParts(1234567.8);
const partOf = (type: string, usual: string) => SAMPLE.find((part) => part.type === type)?.value ?? usual;
const POINT = partOf("decimal", ".");
const GROUP = partOf("group", ",");
const spaces = (text: string) => text.replace(/[\u00a0\u202f\u2019]/g, (space) => (space === "\u2019" ? "'" : " "));
/** The digits of the language, from 0 on. */
const DIGITS = [...new Intl.NumberFormat(language, { useGrouping: false }).format(9_876_543_210)].reverse();
/** Writes digits of the language, and the wide ones of East Asian keyboards, as 0 to 9. */
const plainDigits = (text: string) => text.replace(/\p{Nd}/gu, (digit) => {
  const own = DIGITS.indexOf(digit);
  return own >= 0 ? String(own) : digit.normalize("NFKC");
});
const grouped = new Intl.NumberFormat(language, { useGrouping: true });

/**
 * Reads a decimal that a person typed in their language, as the API writes it. Groups must have three digits, or be those
 * of the language: what might mean a hundred times as much is no number.
 */
export function parseDecimal(typed: string): string | undefined {
  const [whole = "", rest, ...more] = plainDigits(spaces(typed.trim())).split(POINT);
  const [first = "", ...groups] = whole.split(spaces(GROUP));
  const digits = first + groups.join("");
  const isGrouped = groups.length === 0 || (first.length <= 3 && groups.every((group) => group.length === 3))
    || (/^\d{1,12}$/.test(digits) && plainDigits(spaces(grouped.format(Number(digits)))) === whole);
  if (!isGrouped || more.length > 0 || !/^\d{1,12}$/.test(digits) || !/^\d{1,10}$/.test(rest ?? "0")) return undefined;
  return rest === undefined ? digits : `${digits}.${rest}`;
}

/** Writes a decimal as a person would type it: in their language, without groups. */
export const typedText = (decimalText: string): string => decimalText.replace(".", POINT);

/** Reads an amount that a person typed in major units, as minor ones. `undefined` if it is no amount. */
export function minorUnits(typed: string, digits: number): number | undefined {
  const [whole, rest = ""] = parseDecimal(typed)?.split(".") ?? [];
  if (whole === undefined || rest.length > digits) return undefined;
  const value = Number(whole + rest.padEnd(digits, "0"));
  return Number.isSafeInteger(value) ? value : undefined;
}

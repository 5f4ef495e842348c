// Line icons of one weight, drawn for 16 by 16.

const PATHS = {
  overview: "M2 8.5 8 3l6 5.500M3.500 7.500V13h3.500v-3h2v3h3.500V7.500",
  campaigns: "M2 3.500h12v9H2zM2 6.500h12M6 6.500v6",
  launches: "M8 1.500c2.500 2 3.500 4.500 3.500 8h-7c0-3.500 1-6 3.500-8ZM4.500 7 2.500 9.500V12l2.500-1M11.500 7l2 2.500V12L11 11M8 12v2.500",
  rules: "M2 4h6M11 4h3M9.500 2.500v3M2 8h2M7 8h7M5.500 6.500v3M2 12h7M12 12h2M10.500 10.500v3",
  connections: "M6 2v3M10 2v3M4 5h8v2a4 4 0 0 1-8 0V5ZM8 11v3",
  members: "M6 7.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5ZM1.500 13c0-2.500 2-4 4.500-4s4.500 1.500 4.500 4M10.500 2.700a2.500 2.500 0 0 1 0 4.600M12 9.300c1.500.5 2.500 1.900 2.500 3.700",
  audit: "M4 2h6l2.500 2.500V14H4zM6 7h4.500M6 9.500h4.500M6 12h3",
  settings: "M2 4.500h7M12 4.500h2M10.500 3v3M2 11.500h2M7 11.500h7M5.500 10v3",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9ZM10.500 10.500 14 14",
  calendar: "M2.500 3.500h11v10h-11zM2.500 6.500h11M5.500 2v3M10.500 2v3",
  left: "M9.500 3.500 5 8l4.500 4.500",
  right: "M6.500 3.500 11 8l-4.500 4.500",
  down: "M3.500 6 8 10.500 12.500 6",
  up: "M3.500 10 8 5.500l4.500 4.500",
  chart: "M2 2.500v11h12M4.500 10l3-3.500 2.500 2L14 4",
  moon: "M13.500 9.500A5.500 5.500 0 0 1 6.500 2.500a5.500 5.500 0 1 0 7 7Z",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M3.400 12.600l1-1M11.600 4.400l1-1",
  columns: "M2.500 3h11v10h-11zM6.200 3v10M9.800 3v10",
  download: "M8 2.500v7M5 7l3 3 3-3M2.500 13h11",
  rows: "M2.500 3h11v10h-11zM2.500 6.300h11M2.500 9.700h11",
  close: "M3.500 3.500l9 9M12.500 3.500l-9 9",
  check: "M3 8.500 6.500 12 13 4.500",
  edit: "M3 13l.7-3L10.500 3.200l2.300 2.300L6 12.300 3 13Z",
  pause: "M5.500 3v10M10.500 3v10",
  play: "M4.500 3v10l8-5z",
  plus: "M8 3v10M3 8h10",
  print: "M4.500 6V2.500h7V6M4.500 11H2.500V6h11v5h-2M4.500 9h7v4.500h-7z",
  warning: "M8 2.500 14.500 13h-13zM8 6.500v3M8 11.300h.01",
} as const;

export type IconName = keyof typeof PATHS;

/** An icon beside words, or in a control that has a name of its own. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

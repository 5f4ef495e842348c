import { Icon } from "./icons";

/** Saves a table as a file for spreadsheets. */
export function CsvButton({ label = "Download as CSV", onClick }: { label?: string; onClick: () => void }) {
  return <button type="button" class="icon-button" aria-label={label} title={label} onClick={onClick}><Icon name="download" /></button>;
}

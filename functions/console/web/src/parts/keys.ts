/** The keys of the console, each with what it does. */
export const KEYS: [string, string][] = [
  ["Ctrl K", "Search or run a command"],
  ["/", "Find in the table"],
  ["g then o c r n m a s", "Go to Overview, Campaigns, Rules, Connections, Members, Audit log, Settings"],
  ["j k ↑ ↓ Home End", "Move in the table"],
  ["x, Shift x", "Select a row, or all rows up to it"],
  ["Enter", "Go to the page of the row"],
  ["o", "Open the row into what is below it"],
  ["e", "Change the budget"],
  ["p", "Pause or activate"],
  ["z", "Undo the last change"],
  ["← →", "The period before or after"],
  ["c", "Compare with the period before"],
  ["d", "Rows with one line or two"],
  ["?", "This list"],
];

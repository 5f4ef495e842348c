// The period of a page, with arrows to the ones beside it, and whether it is compared with the one before.

import { useState } from "preact/hooks";
import { days as writeDays } from "../format";
import { addDays, daysParams, isCompared, length, PRESETS, presetParams, todayIn, type Period } from "../period";
import { setParams } from "../route";
import { Icon } from "./icons";
import { Popover } from "./popover";

/** Moves the period by its own length. */
export function movePeriod(period: Period, timezone: string, direction: -1 | 1): void {
  const by = length(period) * direction;
  const [since, until] = [addDays(period.since, by), addDays(period.until, by)];
  if (since <= todayIn(timezone)) setParams(daysParams(since, until), { push: true });
}

/** Asks for the comparison, or ends it. */
export const toggleCompare = (): void => setParams({ compare: isCompared() ? "none" : undefined });

export function RangePicker({ period, timezone }: { period: Period; timezone: string }) {
  const today = todayIn(timezone);
  return (
    <div class="range">
      <button type="button" class="icon-button" aria-label="Period before" onClick={() => movePeriod(period, timezone, -1)}><Icon name="left" /></button>
      <Popover
        class="range-button" name="Period" title={period.label} buttonName={`Period: ${period.label}, ${writeDays(period.since, period.until)}`}
        label={<><Icon name="calendar" /><span>{writeDays(period.since, period.until)}</span></>}
      >
        {(close) => <Choices period={period} today={today} close={close} />}
      </Popover>
      <button
        type="button" class="icon-button" aria-label="Period after" disabled={addDays(period.until, 1) > today}
        onClick={() => movePeriod(period, timezone, 1)}
      >
        <Icon name="right" />
      </button>
    </div>
  );
}

function Choices({ period, today, close }: { period: Period; today: string; close: () => void }) {
  const [since, setSince] = useState(period.since);
  const [until, setUntil] = useState(period.until);
  const isValid = since !== "" && since <= until;
  return (
    <div class="range-choices">
      <ul class="menu">
        {PRESETS.map(({ name, label }) => (
          <li key={name}>
            <button
              type="button" aria-pressed={period.preset === name}
              onClick={() => (setParams(presetParams(name), { push: true }), close())}
            >
              {label}
            </button>
          </li>
        ))}
      </ul>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isValid) setParams(daysParams(since, until), { push: true }), close();
        }}
      >
        <label>From<input type="date" value={since} max={today} onInput={(event) => setSince(event.currentTarget.value)} /></label>
        <label>To<input type="date" value={until} max={today} onInput={(event) => setUntil(event.currentTarget.value)} /></label>
        {!isValid && <p class="fine bad-text">The first day must not be after the last.</p>}
        <button type="submit" class="button primary" disabled={!isValid}>Show these days</button>
      </form>
    </div>
  );
}

export function CompareToggle() {
  const on = isCompared();
  return (
    <button type="button" class={`button${on ? " on" : ""}`} aria-pressed={on} onClick={toggleCompare}>
      vs previous
    </button>
  );
}

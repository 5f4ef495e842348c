// The period of a page, with arrows to the ones beside it, and whether it is compared with the one before.

import { useState } from "preact/hooks";
import { days as writeDays } from "../format";
import { addDays, daysParams, isCompared, length, PRESETS, presetParams, todayIn, type Period } from "../period";
import { setParams } from "../route";
import { Icon } from "./icons";
import { Popover } from "./popover";

/** Moves the period by its own length, up to yesterday: a day that is not over is compared with whole ones. */
export function movePeriod(period: Period, timezone: string, direction: -1 | 1): void {
  const yesterday = addDays(todayIn(timezone), -1);
  const days = length(period);
  const until = direction === 1 ? minDay(addDays(period.until, days), yesterday) : addDays(period.until, -days);
  if (until === period.until || (direction === 1 && until < period.until)) return;
  setParams(daysParams(addDays(until, 1 - days), until), { push: true });
}

const minDay = (a: string, b: string) => (a < b ? a : b);

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
        type="button" class="icon-button" aria-label="Period after" disabled={period.until >= addDays(today, -1)}
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

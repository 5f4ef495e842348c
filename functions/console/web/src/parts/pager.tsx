// Pages of a list that is newest first.

import { params, setParams } from "../route";

/** Leads to older rows, and back to the newest. `next` is the cursor of the page after this one. */
export function Pager({ next }: { next: string | undefined }) {
  const after = params.value.get("after");
  if (!next && !after) return null;
  return (
    <p class="actions">
      {after && <button type="button" class="button" onClick={() => setParams({ after: undefined }, { push: true })}>Newest</button>}
      {next && <button type="button" class="button" onClick={() => setParams({ after: next }, { push: true })}>Older</button>}
    </p>
  );
}

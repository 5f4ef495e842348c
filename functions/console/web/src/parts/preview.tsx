// An ad as people will see it: a page of Meta's in a frame, read when somebody wants to see it.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Schemas } from "../api";
import { Failure } from "./states";

export type AdFormat = Schemas["AdFormat"];

const FORMATS: Record<AdFormat, string> = {
  MOBILE_FEED_STANDARD: "Facebook feed, phone", DESKTOP_FEED_STANDARD: "Facebook feed, desktop", RIGHT_COLUMN_STANDARD: "Facebook right column", MARKETPLACE_MOBILE: "Facebook Marketplace",
  FACEBOOK_STORY_MOBILE: "Facebook story", FACEBOOK_REELS_MOBILE: "Facebook reels", INSTAGRAM_STANDARD: "Instagram feed", INSTAGRAM_STORY: "Instagram story", INSTAGRAM_REELS: "Instagram reels",
  INSTAGRAM_EXPLORE_CONTEXTUAL: "Instagram Explore", MESSENGER_MOBILE_INBOX_MEDIA: "Messenger inbox", MOBILE_NATIVE: "Audience Network",
};

interface Props {
  /** The ads that there are to be seen, where there are several. */
  ads?: string[];
  /** What the ads are made of: what was shown of another document is not shown any more. */
  document?: string;
  load: (format: AdFormat, ad?: string) => Promise<Schemas["AdPreview"]>;
}

export function Preview({ ads = [], document, load }: Props) {
  const [format, setFormat] = useState<AdFormat>("MOBILE_FEED_STANDARD");
  const [ad, setAd] = useState(ads[0]);
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState<Schemas["AdPreview"]>();
  const [problem, setProblem] = useState<Error>();
  // The last request; an answer to an earlier one, or about another document, is not shown.
  const last = useRef(0);
  useEffect(() => {
    last.current += 1;
    setBusy(false);
    setShown(undefined);
    setProblem(undefined);
  }, [document]);
  const chosen = ad !== undefined && ads.includes(ad) ? ad : ads[0];
  const show = async (next: AdFormat, nextAd: string | undefined) => {
    const own = (last.current += 1);
    setBusy(true);
    const answer = await load(next, nextAd).then((preview) => ({ preview, error: undefined }), (error: Error) => ({ preview: undefined, error }));
    if (own !== last.current) return;
    setBusy(false);
    setShown(answer.preview);
    setProblem(answer.error);
  };
  const again = (next: AdFormat, nextAd: string | undefined) => {
    setFormat(next);
    setAd(nextAd);
    if (shown || problem || busy) void show(next, nextAd);
  };
  return (
    <section class="card preview" aria-label="Preview" aria-busy={busy}>
      <h2>Preview</h2>
      <p class="actions">
        <label>Shown in<select value={format} onChange={(event) => again(event.currentTarget.value as AdFormat, chosen)}>{Object.entries(FORMATS).map(([value, label]) => <option key={value} value={value}>{label}</option>)}</select></label>
        {ads.length > 1 && <label>Ad<select value={chosen} onChange={(event) => again(format, event.currentTarget.value)}>{ads.map((one) => <option key={one} value={one}>{one}</option>)}</select></label>}
        <button type="button" class="button" disabled={busy} onClick={() => void show(format, chosen)}>{busy ? "Asking Meta …" : "Show"}</button>
      </p>
      {problem && <Failure what="Meta shows no preview." error={problem} />}
      {shown && <iframe title={`The ad in: ${FORMATS[format]}`} src={shown.url} width={shown.width} height={shown.height} sandbox="allow-scripts allow-same-origin allow-popups" referrerpolicy="no-referrer" />}
    </section>
  );
}

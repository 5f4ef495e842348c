// A picture or video of a document: a file that is uploaded, or what the library has.

import { useState } from "preact/hooks";
import { answer, api, Problem, type Schemas } from "../api";
import { accountPath, type AdAccount } from "../store";
import { notify } from "./toast";

type FileState = Schemas["FileView"];

/** The digest is made of the whole file in memory. */
const MAX_BYTES = 1 << 30;

/** How often in a row a part is tried again. */
const MAX_RETRIES = 5;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Uploads a file to an ad account's library, unless it is there. `progress` is told which part of it has arrived. */
async function upload(account: AdAccount, file: File, progress: (part: number) => void): Promise<FileState> {
  if (file.size > MAX_BYTES) throw new Error("it has more than 1 GB; use: adflight upload");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const at = { path: { ...accountPath(account.id).path, sha256 } };
  const files = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/files/{sha256}";
  const kind = file.type.startsWith("image/") ? "image" : "video";
  let state = await answer(api.PUT(files, { params: at, body: { kind, name: file.name.slice(0, 255), bytes: file.size } }));
  for (let failures = 0; state.state === "uploading";) {
    const first = state.next!;
    progress(first / file.size);
    const part = file.slice(first, first + state.max_part_bytes!, "application/octet-stream");
    try {
      state = await answer(api.PUT(`${files}/bytes`, {
        params: { ...at, query: { first } }, body: part as unknown as string, bodySerializer: (body) => body, headers: { "Content-Type": "application/octet-stream" },
      }));
      failures = 0;
    } catch (error) {
      failures += 1;
      // What the API refuses for good is not tried again.
      const isFinal = error instanceof Problem && error.status < 500 && ![409, 429].includes(error.status);
      if (isFinal || failures > MAX_RETRIES) throw error;
      await pause(500 * 2 ** failures);
      // It says what has arrived; nothing of it is sent again.
      state = await answer(api.GET(files, { params: at })).catch(() => state);
    }
  }
  if (state.failure) throw new Error(state.failure);
  return state;
}

interface Props {
  account: AdAccount;
  image: string;
  video: string;
  onChange: (kind: "image" | "video", media: string | undefined) => void;
}

/** Takes a picture, or a video and a picture that is its cover. */
export function MediaField({ account, image, video, onChange }: Props) {
  const [busy, setBusy] = useState<{ name: string; part: number }>();
  const take = async (file: File | undefined) => {
    if (!file) return;
    setBusy({ name: file.name, part: 0 });
    try {
      const { kind, media } = await upload(account, file, (part) => setBusy({ name: file.name, part }));
      onChange(kind, media);
    } catch (error) {
      notify(`“${file.name}” was not taken: ${(error as Error).message}`, { tone: "bad" });
    } finally {
      setBusy(undefined);
    }
  };
  const held = [["video", "Video", video], ["image", video ? "Its cover" : "Picture", image]] as const;
  return (
    <fieldset class="media">
      <legend>Picture or video</legend>
      {held.filter(([, , id]) => id).map(([kind, label, id]) => (
        <p key={kind}>{label} <code>{id}</code> <button type="button" class="button" onClick={() => onChange(kind, undefined)}>Remove</button></p>
      ))}
      {busy
        ? <label>{`Uploading “${busy.name}”`}<progress value={busy.part} /></label>
        : <label>Add a file<input type="file" accept=".mp4,.mov,.m4v,.jpg,.jpeg,.png,.gif" onChange={(event) => void take(event.currentTarget.files?.[0])} /></label>}
      <p class="fine">MP4 or MOV up to 1 GB here; JPG, PNG or GIF up to 4 MB.</p>
    </fieldset>
  );
}

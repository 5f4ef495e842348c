import { signInAgain } from "../session";
import { Dialog } from "./dialog";

/** Stands above a page whose session has ended. The page keeps everything; what was being sent is sent afterwards. */
export function SessionEnded({ problem }: { problem: string | undefined }) {
  return (
    <Dialog title="Your session has ended">
      <p>Sign in again in a small window. Nothing on this page is lost, and what was being saved goes on by itself.</p>
      {problem && <p class="bad-text" role="alert">{problem}</p>}
      <p><button type="button" class="button primary" onClick={() => void signInAgain()} autofocus>Sign in again</button></p>
    </Dialog>
  );
}

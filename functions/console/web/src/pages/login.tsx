import icon from "../icon.svg";
import { signIn } from "../session";

export function Login({ reason }: { reason?: string | undefined }) {
  return (
    <main class="alone login">
      <img src={icon} alt="" width="48" height="48" />
      <h1>Adflight</h1>
      <p>Campaigns with numbers that equal Meta’s own, changes that are safe to make, and rules that keep watch.</p>
      {reason && <p class="banner warning" role="alert">{reason}</p>}
      <button type="button" class="button primary large" onClick={() => void signIn()} autofocus>Sign in</button>
    </main>
  );
}

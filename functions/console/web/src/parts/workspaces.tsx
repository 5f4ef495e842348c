// Workspaces that a person does not have yet: new ones, and those that they are invited to.

import { useState } from "preact/hooks";
import { api, answer, idempotencyKey } from "../api";
import { invalidate, useResource } from "../resource";
import { navigate } from "../route";
import { notify } from "./toast";

/** The form of a new workspace, whose owner the person becomes. */
export function NewWorkspace({ onDone }: { onDone?: () => void }) {
  const [name, setName] = useState("");
  const [refusal, setRefusal] = useState<string>();
  const [key] = useState(idempotencyKey);
  const create = async (event: Event) => {
    event.preventDefault();
    try {
      const { workspace } = await answer(api.POST("/v1/workspaces", { params: { header: { "Idempotency-Key": key } }, body: { name } }));
      await invalidate("workspaces");
      navigate(`/w/${workspace}/overview`);
      onDone?.();
    } catch (error) {
      setRefusal((error as Error).message);
    }
  };
  return (
    <form onSubmit={create}>
      <p>The members of a workspace share ad accounts, numbers and rules.</p>
      <label>Name<input required value={name} autofocus onInput={(event) => (setName(event.currentTarget.value), setRefusal(undefined))} /></label>
      {refusal && <p class="bad-text" role="alert">{refusal}</p>}
      <p class="actions"><button type="submit" class="button primary">Create the workspace</button></p>
    </form>
  );
}

/** The invitations that wait for the person. */
export function Invitations() {
  const found = useResource("my-invitations", (signal) => answer(api.GET("/v1/invitations", { signal })));
  const accept = async (workspace: string, invitation: string) => {
    try {
      await answer(api.POST("/v1/workspaces/{workspace}/invitations/{invitation}/accept", { params: { path: { workspace, invitation } } }));
      await invalidate("workspaces");
      invalidate("my-invitations");
      navigate(`/w/${workspace}/overview`);
    } catch (error) {
      notify(`The invitation was not accepted: ${(error as Error).message}`, { tone: "bad" });
    }
  };
  return (
    <>
      {found.data?.data.map(({ id, workspace, role }) => (
        <div class="banner good" key={id}>
          <div>You are invited to the workspace <b>{workspace}</b> as {role}.</div>
          <button type="button" class="button primary" onClick={() => void accept(workspace, id)}>Accept</button>
        </div>
      ))}
    </>
  );
}

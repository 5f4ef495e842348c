// The people of the workspace, and those who are invited.

import { useState } from "preact/hooks";
import { api, answer, type Schemas } from "../api";
import { ago, day } from "../format";
import { Dialog } from "../parts/dialog";
import { Head } from "../parts/shell";
import { Failure, Skeleton } from "../parts/states";
import { notify } from "../parts/toast";
import { invalidate, useResource } from "../resource";
import { path } from "../route";
import { session, systemNow } from "../session";
import { can, type Role } from "../store";

type Member = Schemas["MemberView"];

const ROLES: Role[] = ["owner", "editor", "viewer"];

export default function Members() {
  const workspace = path.value[1]!;
  const at = { path: { workspace } };
  const members = useResource(`members:${workspace}`, (signal) => answer(api.GET("/v1/workspaces/{workspace}/members", { params: at, signal })), { shows: ["members", "audit"] });
  const isOwner = can("owner");
  const [removing, setRemoving] = useState<Member>();
  return (
    <>
      <Head title="Members" />
      {members.error && <Failure what="The members could not be read." error={members.error} retry={members.reload} />}
      <section class="card table-card" aria-label="Members">
        {!members.data && !members.error && <Skeleton lines={3} height={40} />}
        <div class="table-scroll" tabIndex={0} role="region" aria-label="People of the workspace">
          <table class="plain">
            <thead><tr><th scope="col">Person</th><th scope="col">Role</th><th scope="col">Since</th>{isOwner && <th scope="col">Actions</th>}</tr></thead>
            <tbody>{members.data?.data.map((member) => <MemberRow key={member.id} member={member} workspace={workspace} onRemove={() => setRemoving(member)} />)}</tbody>
          </table>
        </div>
      </section>
      {isOwner && <Invitations workspace={workspace} />}
      {removing && <RemoveDialog member={removing} workspace={workspace} onClose={() => setRemoving(undefined)} />}
    </>
  );
}

async function attempt(what: string, work: () => Promise<unknown>, done: string): Promise<void> {
  try {
    await work();
    notify(done);
  } catch (error) {
    notify(`${what}: ${(error as Error).message}`, { tone: "bad" });
  }
  // Somebody may have changed their own role.
  for (const prefix of ["members:", "invitations:", "workspaces"]) invalidate(prefix);
}

const memberName = ({ email, subject }: Member): string => email ?? subject;

function MemberRow({ member, workspace, onRemove }: { member: Member; workspace: string; onRemove: () => void }) {
  const name = memberName(member);
  const state = session.value;
  const isSelf = state.kind === "signed-in" && state.person.subject === member.subject;
  const setRole = (role: Role) => attempt("The role was not changed", () =>
    answer(api.PATCH("/v1/workspaces/{workspace}/members/{member}", { params: { path: { workspace, member: member.id } }, body: { role } })), `${name} is ${role} now, was ${member.role}`);
  return (
    <tr>
      <th scope="row">{name}{isSelf && <small> (you)</small>}</th>
      <td>
        {can("owner")
          ? <select aria-label={`Role of ${name}`} value={member.role} onChange={(event) => void setRole(event.currentTarget.value as Role)}>{ROLES.map((role) => <option key={role}>{role}</option>)}</select>
          : member.role}
      </td>
      <td>{ago(member.since, systemNow())}</td>
      {can("owner") && <td><button type="button" class="button" aria-label={`Remove ${name} …`} onClick={onRemove}>Remove …</button></td>}
    </tr>
  );
}

function RemoveDialog({ member, workspace, onClose }: { member: Member; workspace: string; onClose: () => void }) {
  const name = memberName(member);
  const remove = () => {
    onClose();
    void attempt("Nobody was removed", () => answer(api.DELETE("/v1/workspaces/{workspace}/members/{member}", { params: { path: { workspace, member: member.id } } })), `${name} is not a member any more`);
  };
  return (
    <Dialog title={`Remove ${name}?`} onClose={onClose}>
      <p>They lose access at once. You can invite them again.</p>
      <p class="actions">
        <button type="button" class="button danger" onClick={remove}>Remove</button>
        <button type="button" class="button" autofocus onClick={onClose}>Cancel</button>
      </p>
    </Dialog>
  );
}

function Invitations({ workspace }: { workspace: string }) {
  const at = { path: { workspace } };
  const found = useResource(`invitations:${workspace}`, (signal) => answer(api.GET("/v1/workspaces/{workspace}/invitations", { params: at, signal })), { shows: ["members", "audit"] });
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("editor");
  const [refusal, setRefusal] = useState<string>();
  const invite = async (event: Event) => {
    event.preventDefault();
    try {
      await answer(api.POST("/v1/workspaces/{workspace}/invitations", { params: at, body: { email, role } }));
      notify(`${email} is invited as ${role}. Nothing was sent: tell them to sign in here.`);
      setEmail("");
      found.reload();
    } catch (error) {
      setRefusal((error as Error).message);
    }
  };
  return (
    <section class="card" aria-label="Invitations">
      <h2>Invite a member</h2>
      <p class="fine">No email is sent: tell them to sign in at {location.origin}. A viewer reads, an editor changes campaigns and rules, an owner also connects Meta and manages members.</p>
      <form class="line" onSubmit={invite}>
        <label>Email address<input type="email" required value={email} autocomplete="off" onInput={(event) => (setEmail(event.currentTarget.value), setRefusal(undefined))} /></label>
        <label>Role<select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>{ROLES.map((one) => <option key={one}>{one}</option>)}</select></label>
        <button type="submit" class="button primary">Invite</button>
      </form>
      {refusal && <p class="bad-text" role="alert">{refusal}</p>}
      {found.error && <Failure what="The invitations could not be read." error={found.error} retry={found.reload} />}
      <ul class="accounts-list">
        {found.data?.data.map((invitation) => (
          <li key={invitation.id}>
            <div class="account-name"><b>{invitation.email}</b><small>{invitation.role} · until {day(invitation.expires_at.slice(0, 10))}</small></div>
            <button
              type="button" class="button" aria-label={`Revoke the invitation of ${invitation.email}`}
              onClick={() => void attempt("The invitation was not revoked", () => answer(api.DELETE("/v1/workspaces/{workspace}/invitations/{invitation}", { params: { path: { workspace, invitation: invitation.id } } })), `${invitation.email} is not invited any more`)}
            >
              Revoke
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

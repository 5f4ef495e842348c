/** How people sign in, as the host of the page has written it into the page. */
export interface Settings {
  issuer: string;
  client_id: string;
  audience: string;
  scope: string;
}

const meta = document.querySelector<HTMLMetaElement>("meta[name=adflight-settings]");

export const settings = JSON.parse(meta?.content ?? "{}") as Settings;

// The names of custom conversions, which numbers know by their ids alone.

import { useEffect } from "preact/hooks";
import { api, answer, type Schemas } from "../api";
import { conversionNames } from "../measures";
import { useResource } from "../resource";
import { accountPath, type AdAccount } from "../store";

/** Reads the custom conversions of an ad account, if they are wanted. Whoever writes their measures knows their names then. */
export function useConversions({ id }: AdAccount, isWanted: boolean): Schemas["CustomConversionList"] | undefined {
  const found = useResource(isWanted ? `conversions:${id}` : undefined, (signal) =>
    answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/custom-conversions", { params: accountPath(id), signal })), { keep: false });
  useEffect(() => {
    if (found.data) conversionNames.value = new Map(found.data.data.map(({ measure, name }) => [measure, name]));
  }, [found.data]);
  return found.data;
}

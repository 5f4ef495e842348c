// Parts that are loaded when they are first shown.

import type { ComponentType, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Returns a component that loads itself at its first use. */
export function lazy<P extends object = object>(load: () => Promise<{ default: ComponentType<P> }>, fallback: VNode | null = null): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, show] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded) return;
      load().then(
        (module) => {
          loaded = module.default;
          show(1);
        },
        () => setFailed(true),
      );
    }, []);
    if (loaded) {
      const Page = loaded;
      return <Page {...props} />;
    }
    if (!failed) return fallback;
    return (
      <div class="banner bad" role="alert">
        <div>This page could not be loaded: a new version may have been deployed. <button type="button" class="button" onClick={() => location.reload()}>Load it again</button></div>
      </div>
    );
  };
}

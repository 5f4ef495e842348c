// Modal dialogs: native, so that focus stays in them and goes back where it was.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface Props {
  title: string;
  children: ComponentChildren;
  /** Closes it; without, it cannot be left. */
  onClose?: () => void;
  wide?: boolean;
}

export function Dialog({ title, children, onClose, wide }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const isOutside = useRef(false);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current!;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element} class={`dialog${wide ? " wide" : ""}`} aria-labelledby={heading}
      onCancel={(event) => (event.preventDefault(), onClose?.())}
      // A browser closes it at the second Escape whatever `cancel` says.
      onClose={() => !onClose && element.current?.isConnected && element.current.showModal()}
      // Only a press that begins outside: text may be selected to beyond the edge.
      onPointerDown={(event) => (isOutside.current = event.target === element.current)}
      onClick={(event) => event.target === element.current && isOutside.current && onClose?.()}
    >
      <div class="dialog-body">
        <h2 id={heading}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

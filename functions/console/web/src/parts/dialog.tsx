// Modal dialogs: native, so that focus stays in them and goes back where it was.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface Props {
  title: string;
  children: ComponentChildren;
  /** Closes it; without, it cannot be left. */
  onClose?: () => void;
  wide?: boolean;
  drawer?: boolean;
}

export function Dialog({ title, children, onClose, wide, drawer }: Props) {
  const element = useRef<HTMLDialogElement>(null);
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
      ref={element} class={`dialog${wide ? " wide" : ""}${drawer ? " drawer" : ""}`} aria-labelledby={heading}
      onCancel={(event) => (event.preventDefault(), onClose?.())}
      onClick={(event) => event.target === element.current && onClose?.()}
    >
      <div class="dialog-body">
        <h2 id={heading}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

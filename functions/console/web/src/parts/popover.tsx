// Small panels beside their button: native popovers, which close with Escape and give focus back.

import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";

interface Props {
  /** What the button shows. */
  label: ComponentChildren;
  /** What the panel is called. */
  name: string;
  /** The button's name, where it is more than what it shows. */
  buttonName?: string;
  class?: string;
  title?: string;
  children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, name, buttonName, class: kind = "button", title, children }: Props) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const panel = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const place = () => {
    const from = button.current!.getBoundingClientRect();
    const style = panel.current!.style;
    const width = panel.current!.offsetWidth;
    style.left = `${Math.max(8, Math.min(from.left, innerWidth - width - 8))}px`;
    const below = from.bottom + 4;
    style.top = `${Math.max(8, Math.min(below, innerHeight - panel.current!.offsetHeight - 8))}px`;
  };
  const close = () => panel.current?.hidePopover();
  return (
    <>
      <button
        ref={button} type="button" class={kind} aria-label={buttonName} title={title} aria-expanded={open}
        aria-haspopup="dialog" {...{ popovertarget: id }}
      >
        {label}
      </button>
      <div
        ref={panel} id={id} popover="auto" class="popover" role="dialog" aria-label={name}
        onToggle={(event) => {
          const isOpen = (event as ToggleEvent).newState === "open";
          setOpen(isOpen);
          if (isOpen) requestAnimationFrame(() => (place(), panel.current?.querySelector<HTMLElement>("[autofocus], input, button, a")?.focus()));
        }}
      >
        {open && children(close)}
      </div>
    </>
  );
}

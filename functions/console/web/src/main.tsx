import { render } from "preact";
import { App } from "./app";
import { interceptLinks } from "./route";
import { startSession } from "./session";

interceptLinks();
render(<App />, document.getElementById("app")!);
void startSession();

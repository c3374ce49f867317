import { createElement } from "react";

/**
 * `createElement` under the name that hyperscript gave it. Node runs our TypeScript as it is, but it does not read JSX,
 * so that views are written as calls.
 */
export const h = createElement;

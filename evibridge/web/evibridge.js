/**
 * A call with an evibridge agent from a web page. Types: evibridge.d.ts.
 *
 * The service answers with this file at /evibridge.js, and with the rest of the module below /web/.
 */

export { EvibridgeCall } from "./web/call/call.js";
export { EvibridgeError } from "./web/call/call_error.js";

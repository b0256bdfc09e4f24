// The conformance suite has no option for a token: loaded before it, this gives every request of its own one.
import http from "node:http";
import { createRequire, syncBuiltinESMExports } from "node:module";

const { Agent, setGlobalDispatcher } = createRequire(process.argv[1])("undici");
const value = `Bearer ${process.env.MCP_TOKEN}`;
const added = (headers) => {
  if (Array.isArray(headers)) return [...headers, "authorization", value];
  const entries = headers?.[Symbol.iterator] ? headers : Object.entries(headers ?? {});
  return { ...Object.fromEntries(entries), authorization: value };
};
setGlobalDispatcher(
  new Agent().compose((dispatch) => (options, handler) =>
    dispatch({ ...options, headers: added(options.headers) }, handler),
  ),
);
const { request } = http;
http.request = (options, ...rest) => request({ ...options, headers: added(options.headers) }, ...rest);
syncBuiltinESMExports();

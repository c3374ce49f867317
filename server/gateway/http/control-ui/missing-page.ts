/** Shown where no Control UI was found: it is OpenClaw's and not part of this program. */
export const MISSING_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>openclaw-ha: no Control UI</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.6 system-ui, sans-serif; max-width: 42rem; margin: 12vh auto; padding: 0 1.5rem; }
  code { background: #8882; border-radius: 4px; padding: .1em .35em; }
  pre { background: #8882; border-radius: 6px; padding: .8em 1em; overflow-x: auto; }
</style>
<h1>This gateway works, but has no Control UI</h1>
<p>The Control UI belongs to OpenClaw. Install OpenClaw on the machine of the gateways, or say where its build lies,
and start the deployment again:</p>
<pre>npm install -g openclaw
openclaw-ha up</pre>
<pre>openclaw-ha up --control-ui /path/to/openclaw/dist/control-ui</pre>
<p>Processes that are not started by <code>openclaw-ha up</code> take the folder from
<code>OPENCLAW_HA_CONTROL_UI</code>. Everything else is served: the gateway protocol on this address, and the OpenAI
interface under <code>/v1</code>.</p>
</html>
`;

// work.js: verifying in a worker, so that the page does not freeze; the page and tests call the same function.
"use strict";

function fileSource(file) {
  return {
    size: file.size,
    read: async (offset, length) => new Uint8Array(await file.slice(offset, offset + length).arrayBuffer()),
  };
}

// Called at the end of the worker's text.
function serveAsWorker() {
  self.onmessage = async ({ data }) => {
    const progress = (doing, done, total) => self.postMessage({ doing, done, total });
    self.postMessage({ result: await verifyPack(fileSource(data.file), data.given, progress) });
  };
}

// Loaded into a measured process before anything else: answers with what it has used so far, and
// ends with whoever measures.
process.on("message", () => {
  process.send({ cpu: process.cpuUsage(), peakBytes: process.resourceUsage().maxRSS * 1024 });
});
process.on("disconnect", () => process.exit());
process.channel?.unref();

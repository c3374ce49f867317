export async function pollingBenchmark(_quick: boolean): Promise<void> {}

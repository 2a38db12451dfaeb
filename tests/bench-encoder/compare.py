"""Times the encoder against Python onnxruntime fp32 on the same token ids: compare.py WORKER MODEL PAPERS [ROUNDS [CHOICE…]].

Both are held in processes of their own and given each command in turn, A B B A; a ratio is the reference's time divided by
ours for the same command and round, and the median over the rounds is told. CPU time is read from the processes' clocks,
so work beside it on the machine moves it less than wall time. The last line names the smaller of both ratios. CHOICE is
what the worker takes: f32, avx2, portable.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).parent
QUERY = "graph neural networks for climate prediction"
SIZES = (1, 8, 32)
STEP = 4


class Worker:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Linux: the CPU clock of another process, all its threads together.
        self.clock = (~self.process.pid << 3) | 2
        self.greeting = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended with status {self.process.wait()}")
        return line.strip()

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def time(self, command):
        """CPU and wall time in milliseconds."""
        before = time.clock_gettime(self.clock)
        wall = int(self.tell(command).split()[0]) / 1e6
        return (time.clock_gettime(self.clock) - before) * 1e3, wall

    def megabytes(self, field):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(field + ":")[1].split()[0]) / 1024


def compare(ours, reference, command, rounds):
    """The ratios of CPU time and wall time, and our own times in each round."""
    ratios, own = [], []
    for worker in (ours, reference):
        worker.time(command.format(first=0))
    for number in range(rounds):
        order = [ours, reference] if number % 2 else [reference, ours]
        times = {worker: worker.time(command.format(first=number % STEP)) for worker in order}
        ratios.append([theirs / mine for theirs, mine in zip(times[reference], times[ours])])
        own.append(times[ours])
    return [statistics.median(column) for column in zip(*ratios)], own


def neighbours(vectors):
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    return np.argsort(-scores, axis=1)[:, :10]


def quality(ours, reference, folder):
    """Mean and least cosine, and the share of the reference's ten nearest neighbours that are found again."""
    found = []
    for name, worker in (("ours", ours), ("reference", reference)):
        worker.tell(f"vectors 8 {folder / name}")
        vectors = np.fromfile(folder / name, "<f4").astype(np.float64)
        found.append(vectors.reshape(-1, len(vectors) // len((folder / "ids").read_text().splitlines())))
    cosines = (found[0] * found[1]).sum(1)
    pairs = zip(neighbours(found[0]), neighbours(found[1]))
    return cosines.mean(), cosines.min(), np.mean([len(set(a) & set(b)) / 10 for a, b in pairs])


def prepare(ours, papers, folder):
    """Writes the papers' token ids, sorted by length, and returns the query's."""
    texts = [f"{paper['title']}. {paper['abstract']}" for paper in map(json.loads, open(papers))]
    (folder / "texts").write_text("\n".join(" ".join(text.split()) for text in [QUERY, *texts]))
    ours.tell(f"tokens {folder / 'texts'} {folder / 'ids'}")
    query, *ids = (folder / "ids").read_text().splitlines()
    ids.sort(key=lambda line: len(line.split()))
    (folder / "ids").write_text("\n".join(ids))
    print(f"{len(ids)} papers, {sum(len(line.split()) for line in ids)} tokens; query of {len(query.split())} tokens")
    return query


def main():
    worker, model, papers, *rest = sys.argv[1:]
    rounds, *choices = rest or ["8"]
    rounds = int(rounds)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([sys.executable, HERE / "export.py", model, folder / "onnx"], check=True)
        ours = Worker(worker, model, *choices)
        loaded, description = ours.greeting.split(maxsplit=1)
        print(description)
        print(f"loaded in {int(loaded) / 1e9:.2f} s")
        reference = Worker(sys.executable, HERE / "reference.py", folder / "onnx")
        query = prepare(ours, papers, folder)
        for process in (ours, reference):
            process.tell(f"sequences {folder / 'ids'}")

        least, own = {}, {}
        for threads in (1, 2):
            for size in SIZES:
                command = f"batches {threads} {size} {{first}} {STEP}"
                (cpu, wall), own[threads, size] = compare(ours, reference, command, rounds)
                least[threads, size] = min(cpu, wall)
                print(f"{threads} thread(s), batches of {size}: {cpu:.2f} in CPU time, {wall:.2f} in wall time")
            (cpu, wall), _ = compare(ours, reference, f"alone {threads} 100 {query}", rounds)
            least[threads, "alone"] = min(cpu, wall)
            print(f"{threads} thread(s), a query alone: {cpu:.2f} in CPU time, {wall:.2f} in wall time")
        # One list of 64 papers from the middle, some thirty micro-batches. Other work on the machine only adds to a time, so the least of several is nearest to the truth.
        walls = {1: [], 2: []}
        for number in range(rounds):
            for threads in (1, 2) if number % 2 else (2, 1):
                walls[threads].append(ours.time(f"batches {threads} 64 1 {STEP}")[1])
        scaling = min(walls[1]) / min(walls[2])
        mean, low, overlap = quality(ours, reference, folder)
        print(
            f"encoder: r1={least[1, 8]:.2f} r2={least[2, 8]:.2f} lone={least[1, 'alone']:.2f} cos_mean={mean:.6f} "
            f"cos_min={low:.6f} overlap={overlap:.4f} scaling={scaling:.2f} rss_mb={ours.megabytes('VmHWM'):.0f}"
        )


main()

"""Holds the ONNX model in onnxruntime and obeys the same commands as services/encoder/examples/worker.rs."""

import sys
import time

import numpy as np
import onnxruntime


class Reference:
    def __init__(self, model):
        self.model, self.sessions, self.sequences = model, {}, []

    def session(self, threads):
        """One session per number of threads, with onnxruntime's own defaults otherwise."""
        if threads not in self.sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self.sessions[threads] = onnxruntime.InferenceSession(
                self.model, options, providers=["CPUExecutionProvider"]
            )
        return self.sessions[threads]

    def encode(self, threads, batch):
        longest = max(map(len, batch))
        ids, mask = (np.zeros((len(batch), longest), np.int64) for _ in range(2))
        for row, sequence in enumerate(batch):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self.session(threads).run(None, inputs)
        sums = (hidden * mask[..., None]).sum(1)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    def obey(self, words):
        match words:
            case ["sequences", path]:
                with open(path) as file:
                    self.sequences = [[int(word) for word in line.split()] for line in file]
                return f"{len(self.sequences)} sequences"
            case ["batches", threads, size, first, step]:
                size = int(size)
                batches = [self.sequences[start : start + size] for start in range(0, len(self.sequences), size)]
                batches = batches[int(first) :: int(step)]
            case ["alone", threads, count, *ids]:
                batches = [[[int(word) for word in ids]]] * int(count)
            case ["vectors", size, path]:
                size = int(size)
                vectors = [
                    self.encode(1, self.sequences[start : start + size])
                    for start in range(0, len(self.sequences), size)
                ]
                np.concatenate(vectors).astype("<f4").tofile(path)
                return f"{len(self.sequences)} sequences"
        self.session(int(threads))
        start = time.perf_counter_ns()
        for batch in batches:
            self.encode(int(threads), batch)
        return f"{time.perf_counter_ns() - start} {sum(len(ids) for batch in batches for ids in batch)}"


def main():
    reference = Reference(sys.argv[1])
    print("0 onnxruntime", onnxruntime.__version__, flush=True)
    for line in sys.stdin:
        print(reference.obey(line.split()), flush=True)


main()

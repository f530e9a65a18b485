#!/usr/bin/python3
"""Check the ONNX files that hzero writes with ONNX's own checker, and run them in ONNX Runtime.

usage: onnx_written.py ONNX_WRITTEN [DIR]

ONNX_WRITTEN is tests/nn/onnx_written, which writes the graph of every sample of every op, with gradients; DIR keeps them.
Without onnxruntime they are only checked; exit status 77, which means skipped, where onnx is missing, too.

SPDX-License-Identifier: MIT
"""
import glob
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
except ImportError:
    print('onnx is missing: install python3-onnx')
    sys.exit(77)
try:
    import onnxruntime
except ImportError:
    onnxruntime = None


NOT_RUN = 'not run'


def differences(base, model):
    """What onnxruntime computes otherwise, or cannot; None if it agrees."""
    if any(np.load(x).size == 0 for x in glob.glob(base + '.in*.npy')):
        return NOT_RUN  # it crashes on empty tensors
    try:
        session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return NOT_RUN  # it has no kernel of the dtype: f64 is rare
    given = {x.name: np.load(f'{base}.in{k}.npy') for k, x in enumerate(session.get_inputs())}
    for k, got in enumerate(session.run(None, given)):
        want = np.load(f'{base}.out{k}.npy')
        bound = (1e-11 if want.dtype == np.float64 else 2e-5) * max(1, np.abs(want).max(initial=0))
        if got.shape != want.shape or not np.allclose(got, want, rtol=0, atol=bound, equal_nan=True):
            return f'output {k} is {got.ravel()[:4]} …, not {want.ravel()[:4]} …'
    return None


def check_folder(folder):
    count = {'checked': 0, 'ran': 0, 'not run': 0, 'failed': 0}
    for path in sorted(glob.glob(os.path.join(folder, '*.onnx'))):
        base, fault = path[:-len('.onnx')], None
        try:
            onnx.checker.check_model(path, full_check=True)
            count['checked'] += 1
            if onnxruntime:
                fault = differences(base, path)
                count['not run' if fault == NOT_RUN else 'failed' if fault else 'ran'] += 1
        except Exception as error:  # whatever they raise is the report
            fault = str(error)
            count['failed'] += 1
        if fault and fault != NOT_RUN:
            print(f'{os.path.basename(base)}: {fault}')
    print(', '.join(f'{n} {what}' for what, n in count.items()))
    return count['checked'] > 0 and count['failed'] == 0


def main():
    with tempfile.TemporaryDirectory() as scratch:
        folder = sys.argv[2] if len(sys.argv) > 2 else scratch
        os.makedirs(folder, exist_ok=True)
        subprocess.run([sys.argv[1], folder], check=True)
        sys.exit(0 if check_folder(folder) else 1)


if __name__ == '__main__':
    main()

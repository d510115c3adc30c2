// Comforts only: every page works without this file.
'use strict';

// Show and hide a password; the button is hidden until now.
for (const button of document.querySelectorAll('[data-reveal]')) {
  const field = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener('click', () => {
    const show = field.type === 'password';
    field.type = show ? 'text' : 'password';
    button.classList.toggle('on', show);
    button.setAttribute('aria-label', show ? button.dataset.hide : button.dataset.show);
    field.focus();
  });
}

// One submit is enough: the buttons rest and the pressed one says what happens.
for (const form of document.forms) {
  const buttons = [...form.querySelectorAll('button[type=submit]')];
  const words = new Map(buttons.map((button) => [button, button.textContent]));
  form.addEventListener('submit', (event) => {
    if (form.ariaBusy === 'true') return event.preventDefault();
    form.ariaBusy = 'true';
    for (const field of form.querySelectorAll('[data-reveal]')) document.getElementById(field.dataset.reveal).type = 'password';
    // Later, since a disabled button would not be sent along.
    setTimeout(() => {
      const pressed = event.submitter || buttons[0];
      for (const button of buttons) button.disabled = true;
      if (pressed) pressed.textContent = form.dataset.busy;
    });
  });
  // The page may come back from the browser's memory.
  addEventListener('pageshow', () => {
    form.ariaBusy = null;
    for (const [button, text] of words) {
      button.disabled = false;
      button.textContent = text;
    }
  });
}

document.querySelector('[role=alert]')?.focus();

// Comforts only: every page works without this file.
'use strict';

// Show and hide a password; the button is hidden until now.
const reveals = [...document.querySelectorAll('[data-reveal]')];
const reveal = (button, show) => {
  document.getElementById(button.dataset.reveal).type = show ? 'text' : 'password';
  button.classList.toggle('on', show);
  button.setAttribute('aria-label', show ? button.dataset.hide : button.dataset.show);
};
for (const button of reveals) {
  button.hidden = false;
  button.addEventListener('click', () => reveal(button, !button.classList.contains('on')));
}

// One submit is enough: the buttons rest, and the pressed one says what happens.
for (const form of document.forms) {
  const buttons = [...form.querySelectorAll('button[type=submit]')];
  const words = buttons.map((button) => button.textContent);
  form.addEventListener('submit', (event) => {
    if (form.ariaBusy === 'true') return event.preventDefault();
    form.ariaBusy = 'true';
    // A password in plain sight would be kept by the browser as one of the things typed before.
    for (const button of reveals) reveal(button, false);
    // A moment later, since a disabled button is not sent along.
    setTimeout(() => {
      for (const button of buttons) button.disabled = true;
      (event.submitter || buttons[0]).textContent = form.dataset.busy;
    });
  });
  // A whole code is sent at once, but not the same one again.
  for (const field of form.querySelectorAll('[data-digits]')) {
    let sent = '';
    field.addEventListener('input', () => {
      const digits = field.value.replace(/\D/g, '');
      if (digits.length !== Number(field.dataset.digits) || digits === sent) return;
      sent = digits;
      form.requestSubmit(buttons[0]);
    });
  }
  // Another e-mail may be asked for after a while; the server asks for patience too.
  for (const button of form.querySelectorAll('[data-wait]')) {
    const seconds = Number(button.dataset.wait);
    if (!seconds) continue;
    button.disabled = true;
    setTimeout(() => {
      button.disabled = false;
      button.nextElementSibling?.remove();
    }, seconds * 1000);
  }
  // The page may come back from the browser's memory.
  addEventListener('pageshow', () => {
    form.ariaBusy = null;
    buttons.forEach((button, at) => {
      button.disabled = false;
      button.textContent = words[at];
    });
  });
}
